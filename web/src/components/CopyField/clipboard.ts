/** Puts text into the clipboard; false where the browser keeps it: it gives it to pages over https or on the same machine. */
export async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
