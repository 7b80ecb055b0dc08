import { useSite } from "../../hooks/useSite";
import { useStrings } from "../../hooks/useStrings";
import { LanguageMenu } from "../LanguageMenu/LanguageMenu";
import { Link } from "../Link/Link";
import { Logo } from "../Logo/Logo";
import styles from "./Header.module.css";

/** The way home, on top of every page. */
export function Header() {
  const strings = useStrings();
  const { title = strings.name } = useSite();
  return (
    <header className={styles["header"]}>
      <a className={styles["skip"]} href="#content">
        {strings.skipToContent}
      </a>
      <Link href="/" className={styles["home"]}>
        <Logo />
        <span>{title}</span>
      </Link>
      <LanguageMenu />
    </header>
  );
}
