import { useEffect } from "react";
import { strings } from "../strings";

/** Names the page in the browser's tab; null leaves the name of the program alone. */
export function usePageTitle(title: string | null): void {
  useEffect(() => {
    document.title = strings.pageTitle(title);
  }, [title]);
}
