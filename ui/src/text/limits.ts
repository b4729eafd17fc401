/** The most days that one extension gives; the server's own bound. */
export const EXTENSION_DAYS_MAX = 365;
