/** Whether the host that lives in the page is built in: browser tests only. */
declare const __MOCK_HOST__: boolean;
