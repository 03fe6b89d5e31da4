import { commandsPlugin } from './plugins/commands';
import { downloadsPlugin } from './plugins/downloads';
import { panelPlugin } from './plugins/panel';
import { restorePlugin } from './plugins/restore';
import { settingsPlugin } from './plugins/settings';
import { statusPlugin, titlePlugin } from './plugins/status';
import { toastsPlugin } from './plugins/toasts';

export * from './tokens';

export default [
  settingsPlugin,
  downloadsPlugin,
  panelPlugin,
  statusPlugin,
  titlePlugin,
  toastsPlugin,
  commandsPlugin,
  restorePlugin
];
