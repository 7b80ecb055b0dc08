import { strings } from "../../strings";
import { Link } from "../Link/Link";
import { Logo } from "../Logo/Logo";
import styles from "./Header.module.css";

/** The way home, on top of every page. */
export function Header() {
  return (
    <header className={styles["header"]}>
      <a className={styles["skip"]} href="#content">
        {strings.skipToContent}
      </a>
      <Link href="/" className={styles["home"]}>
        <Logo />
        <span>{strings.name}</span>
      </Link>
    </header>
  );
}
