import styles from "./Logo.module.css";

/** A mirror that throws a short, a long and a short flash. */
export function Logo() {
  return (
    <svg className={styles["logo"]} viewBox="0 0 32 32" aria-hidden="true">
      <circle className={styles["halo"]} cx="11.5" cy="20.5" r="9.5" />
      <circle className={styles["mirror"]} cx="11.5" cy="20.5" r="6.25" />
      <path className={styles["beam"]} d="M18.600 13.400l.01-.01M21.600 10.400l4-4M28.600 3.400l.01-.01" />
    </svg>
  );
}
