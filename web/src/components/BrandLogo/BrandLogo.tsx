import type { BrandLogo as Logo } from "../../core/messages";
import styles from "./BrandLogo.module.css";

interface Props {
  readonly logo: Logo;
  /** Whose it is, for those who do not see it. */
  readonly site: string;
}

/** The operator's picture in a corner of the player. */
export function BrandLogo({ logo, site }: Props) {
  const picture = <img src={logo.url} alt={site} />;
  return (
    <div className={styles["logo"]} data-corner={logo.position}>
      {logo.link === undefined ? (
        picture
      ) : (
        <a href={logo.link} target="_blank" rel="noopener noreferrer">
          {picture}
        </a>
      )}
    </div>
  );
}
