/** Whether this is Firefox with its own engine; on iPhones it has another. */
export const isFirefox = (userAgent: string): boolean => /\bFirefox\//.test(userAgent);
