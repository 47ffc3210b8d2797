// The example of the original JavaScript client (WIRE.md, last section), with its own HTTP library, up to the security
// token. Url, username and password come in the environment; the token goes to standard output, which is to be a pipe.

import { randomUUID } from "node:crypto";
import axios from "axios";

const { SERVICE_URL, SERVICE_USERNAME, SERVICE_PASSWORD } = process.env;

try {
  const answer = await axios.post(
    `${SERVICE_URL}/api/security-factor/credentials`,
    { username: SERVICE_USERNAME, password: SERVICE_PASSWORD },
    { headers: { "request-id": randomUUID() } },
  );
  process.stdout.write(answer.data.data.securityToken);
} catch (error) {
  // Not the error itself: axios puts the whole request into it, with the password.
  console.error(`no security token: ${error.response?.status ?? error.code ?? error.name}`);
  process.exitCode = 1;
}
