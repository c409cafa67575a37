type Login = { readonly username: string; readonly password: string };

/** Whether a server answers 200 at the address of its health check. False for as long as it does not, for whatever reason. */
export async function answersAt(url: string, signal: AbortSignal, login?: Login): Promise<boolean> {
  const headers =
    login === undefined ? {} : { authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}` };
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
