import { useEffect } from "react";
import { useSite } from "./useSite";
import { useStrings } from "./useStrings";

/** Names the page in the browser's tab; null leaves the name of the site alone. */
export function usePageTitle(title: string | null): void {
  const strings = useStrings();
  const { title: site = strings.name } = useSite();
  useEffect(() => {
    document.title = strings.pageTitle(title, site);
  }, [strings, title, site]);
}
