/**
 * Icons that JupyterLab does not have.
 */

import { LabIcon } from '@jupyterlab/ui-components';

export const pauseIcon = new LabIcon({
  name: 'bgdl:pause',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" viewBox="0 0 24 24">' +
    '<g class="jp-icon3" fill="#616161"><path d="M6 19h4V5H6v14zm8-14v14h4V5h-4z"/></g></svg>'
});

export const downloadsIcon = new LabIcon({
  name: 'bgdl:downloads',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" viewBox="0 0 24 24">' +
    '<g class="jp-icon3" fill="#616161"><path d="M19 9h-4V3H9v6H5l7 7 7-7zM5 18v2h14v-2H5z"/></g></svg>'
});
