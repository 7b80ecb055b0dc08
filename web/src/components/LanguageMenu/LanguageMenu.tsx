import { LANGUAGES } from "../../core/language";
import { useChoice } from "../../hooks/useChoice";
import { useHeliograph } from "../../hooks/useHeliograph";
import { CATALOGUES } from "../../strings";
import { Icon } from "../Icon/Icon";
import styles from "./LanguageMenu.module.css";

/** What language the page speaks. Each stands there by its own name. */
export function LanguageMenu() {
  const [language, choose] = useChoice(useHeliograph().choices.language);
  const strings = CATALOGUES[language];
  return (
    <label className={styles["menu"]}>
      <Icon name="language" />
      <span className={styles["name"]}>{strings.languageMenu}</span>
      <select
        value={language}
        onChange={(event) => {
          const chosen = LANGUAGES.find((one) => one === event.target.value);
          if (chosen) choose(chosen);
        }}
      >
        {LANGUAGES.map((one) => (
          <option key={one} value={one} lang={one}>
            {CATALOGUES[one].language}
          </option>
        ))}
      </select>
    </label>
  );
}
