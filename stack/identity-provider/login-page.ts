/** The style's hash is in the page's Content-Security-Policy: nothing else of a page runs or loads. */
export const style = `body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}label{display:block;margin:1rem 0 0}
input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin-top:.25rem}button{margin-top:1.5rem}p[role=alert]{color:#a00}`;

/** The form of a login. `failed`: the one before was refused. */
export function loginPage(uid: string, failed: boolean): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in</title><style>${style}</style></head><body><main><h1>Log in</h1>
${failed ? '<p role="alert">This name and password do not fit.</p>' : ''}
<form method="post" action="/interaction/${encodeURIComponent(uid)}">
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form></main></body></html>
`;
}

/** Asks whether the login at the provider is to end too. `form`: the provider's own, with its token. */
export function logoutPage(form: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log out</title><style>${style}</style></head><body><main><h1>Log out</h1>${form}
<button form="op.logoutForm" name="logout" value="yes" autofocus>Log out here too</button>
<button form="op.logoutForm">Stay logged in here</button></main></body></html>
`;
}
