// What the page knows about the outside: the network is back, the tab is
// looked at again, the page is left and perhaps returned to.

/**
 * Calls wake() and hide() until the function that it returns is called.
 * scope has the shape of globalThis; outside a browser nothing happens.
 */
export function watchPage(scope, { wake, hide }) {
    const { document } = scope;
    const visible = () => {
        if (document.visibilityState === 'visible') {
            wake();
        }
    };
    const restored = (event) => {
        if (event.persisted) {
            wake();
        }
    };
    const watched = [
        [scope, 'online', wake],
        [scope, 'pagehide', hide],
        [scope, 'pageshow', restored],
        [document, 'visibilitychange', visible],
    ].filter(([target]) => typeof target?.addEventListener === 'function');

    for (const [target, name, listener] of watched) {
        target.addEventListener(name, listener);
    }
    return () => {
        for (const [target, name, listener] of watched) {
            target.removeEventListener(name, listener);
        }
    };
}
