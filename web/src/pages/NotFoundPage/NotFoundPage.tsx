import { Link } from "../../components/Link/Link";
import { Scene } from "../../components/Scene/Scene";
import { usePageTitle } from "../../hooks/usePageTitle";
import { strings } from "../../strings";
import styles from "./NotFoundPage.module.css";

export function NotFoundPage() {
  const { notFound } = strings;
  usePageTitle(notFound.title);
  return (
    <div className={styles["page"]} data-state="not-found">
      <Scene mood="night" />
      <h1>{notFound.title}</h1>
      <p>{notFound.text}</p>
      <Link href="/">{notFound.home}</Link>
    </div>
  );
}
