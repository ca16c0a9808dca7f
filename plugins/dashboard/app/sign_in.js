/** The sign-in. */

import { useRef } from "preact/hooks";
import { refusal, signIn, state } from "./server.js";
import { html, Problem } from "./ui.js";

export function SignIn() {
  const input = useRef();
  const submit = (event) => {
    event.preventDefault();
    signIn(input.current.value.trim());
  };
  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <h1>Dashboard</h1>
        <p
          class="quiet">Sign in with an API key that has the permission <code>admin</code>. It is kept until you close this tab.</p>
        <label>API key <input type="password" ref=${input} autocomplete="off" spellcheck=${false} required autofocus /></label>
        <${Problem} text=${refusal.value} />
        <p><button class="primary" disabled=${state.value === "checking"}>Sign in</button></p>
        <details>
          <summary>Where do I get a key?</summary>
          <p>Start the server with <code>API_KEYS=ops:KEY:admin</code>, where KEY is a random text of 16 characters or more, for example
          from <code>openssl rand -hex 16</code>.</p>
        </details>
      </form>
    </main>
  `;
}
