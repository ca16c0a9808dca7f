/**
 * Sockets of the C library. Deno's sockets need a promise per read, which takes several microseconds: more than the
 * measured servers need for a delivery. These only cost the system call.
 */

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;

const AF_INET = 2, SOCK_STREAM_CLOEXEC = 0o2000001;
const IPPROTO_IP = 0, IP_BIND_ADDRESS_NO_PORT = 24, IPPROTO_TCP = 6, TCP_NODELAY = 1;
const MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
const EPOLL_CTL_ADD = 1, EPOLLIN = 1, EPOLLERR = 8, EPOLLHUP = 16, POLLOUT = 4;

/** Connections per source address, which has about 28,000 ports. */
const CONNECTIONS_PER_ADDRESS = 20_000;

/** The buffer for received bytes, used by one socket at a time. */
export const inbound: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 18);

const INBOUND_BYTES = BigInt(inbound.length);

const ON = Int32Array.of(1);

/** Opens the `index`th connection to a local port. Returns its file descriptor. */
export function connect(port: number, index: number): number {
  const fd = checked("socket", libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0));
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ON, 4);
  libc.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ON, 4);
  const source = 1 + Math.floor(index / CONNECTIONS_PER_ADDRESS);
  checked("bind", libc.bind(fd, loopback(source, 0), 16));
  checked("connect", libc.connect(fd, loopback(1, port), 16));
  return fd;
}

/** Returns a `sockaddr_in` for 127.0.0.`host`. */
function loopback(host: number, port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16);
  address.set([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, host]);
  return address;
}

/** Sends all bytes, and waits if the buffer is full. Returns `false` if the connection is broken. */
export function send(fd: number, bytes: Uint8Array<ArrayBuffer>): boolean {
  let sent = 0;
  while (sent < bytes.length) {
    const rest = sent === 0 ? bytes : bytes.subarray(sent);
    const size = libc.send(fd, rest, BigInt(rest.length), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) sent += size;
    else if (!becomesWritable(fd)) return false;
  }
  return true;
}

function becomesWritable(fd: number): boolean {
  const request = new Int16Array(4);
  new Int32Array(request.buffer)[0] = fd;
  request[2] = POLLOUT;
  return libc.poll(request, 1n, 1_000) === 1 && request[3] === POLLOUT;
}

/** Reads into {@linkcode inbound} at `offset`. Returns the size, 0 at the end, or a negative number without data. */
export function receive(fd: number, offset: number): number {
  if (offset === 0) return libc.recv(fd, inbound, INBOUND_BYTES, MSG_DONTWAIT);
  return libc.recv(fd, inbound.subarray(offset), INBOUND_BYTES - BigInt(offset), MSG_DONTWAIT);
}

/** Closes the TCP connection without a close frame. */
export function close(fd: number): void {
  libc.close(fd);
}

/** Waits for sockets to have something to read. */
export class Poller {
  static readonly #BATCH = 512;
  /** The structure is packed only on x86-64. */
  static readonly #WORDS = Deno.build.arch === "x86_64" ? 3 : 4;
  readonly #fd = checked("epoll_create1", libc.epoll_create1(0));
  readonly #events = new Uint32Array(Poller.#BATCH * Poller.#WORDS);

  /** Watches a socket; events carry `tag`. */
  add(fd: number, tag: number): void {
    const event = new Uint32Array(Poller.#WORDS);
    event[0] = EPOLLIN;
    event[Poller.#WORDS === 3 ? 1 : 2] = tag;
    checked("epoll_ctl", libc.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, event));
  }

  /** Waits up to `ms`. Calls back for each readable socket, for at most `most`, with whether it is broken. */
  wait(ms: number, most: number, readable: (tag: number, broken: boolean) => void): void {
    const words = Poller.#WORDS;
    const count = libc.epoll_wait(this.#fd, this.#events, Math.min(most, Poller.#BATCH), ms);
    for (let i = 0; i < count; i++) {
      const flags = this.#events[i * words]!;
      readable(this.#events[i * words + (words === 3 ? 1 : 2)]!, (flags & (EPOLLERR | EPOLLHUP)) !== 0);
    }
  }
}

function checked(call: string, result: number): number {
  if (result >= 0) return result;
  const errno = new Deno.UnsafePointerView(libc.__errno_location()!).getInt32();
  throw new Error(`${call} failed with errno ${errno}`);
}
