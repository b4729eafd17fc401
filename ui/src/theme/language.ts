import { localeOf } from '../text/format';

/*
 * Some desktops name no language that the language's own functions know: the "C" of a machine without a locale. The
 * charts' library makes a number format of it as it is loaded, which would fail and leave the window blank. This
 * has to be loaded before it.
 */
const spoken = localeOf(navigator.language);
if (spoken !== navigator.language)
  Object.defineProperty(navigator, 'language', { value: spoken, configurable: true });
