// Messages that arrived while nobody looked, counted in the tab's title.

export class Unread {
    #title;
    #count = 0;

    constructor(title) {
        this.#title = title;
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) {
                this.#count = 0;
                document.title = this.#title;
            }
        });
    }

    add(byAnother) {
        if (document.hidden && byAnother) {
            this.#count++;
            document.title = `(${this.#count}) ${this.#title}`;
        }
    }
}
