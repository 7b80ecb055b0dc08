import { Link } from "../../components/Link/Link";
import { FramedScene } from "../../components/Scene/Scene";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStrings } from "../../hooks/useStrings";
import styles from "./NotFoundPage.module.css";

export function NotFoundPage() {
  const strings = useStrings();
  const { notFound } = strings;
  usePageTitle(notFound.title);
  return (
    <div className={styles["page"]} data-state="not-found">
      <FramedScene mood="night" />
      <h1>{notFound.title}</h1>
      <p>{notFound.text}</p>
      <Link href="/">{notFound.home}</Link>
    </div>
  );
}
