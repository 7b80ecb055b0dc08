import type { ComponentProps } from "react";
import { navigate } from "../../hooks/useRoute";

interface Props extends ComponentProps<"a"> {
  readonly href: string;
}

/** A link inside the page: no reload, and every other way to open a link still works. */
export function Link({ href, children, ...others }: Props) {
  return (
    <a
      {...others}
      href={href}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(href);
      }}
    >
      {children}
    </a>
  );
}
