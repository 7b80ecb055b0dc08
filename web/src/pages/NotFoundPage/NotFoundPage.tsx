import { Link } from "../../components/Link/Link";
import { FramedScene } from "../../components/Scene/Scene";
import { usePageTitle } from "../../hooks/usePageTitle";
import { strings } from "../../strings";
import styles from "./NotFoundPage.module.css";

export function NotFoundPage() {
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
