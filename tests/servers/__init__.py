"""
The counterparts that the tests run against: real sockets on loopback, faults as data, everything recorded.

Each runs outside the loop of the test, in a thread of its own or as a program, so that a test may block, await, or be a
kernel in another process. All are context managers; the fixtures of `fixtures` start and stop them.

=================  ==================================================================================================
`fault_server`     HTTP/1.1 from raw bytes: `FaultServer({"/a": FileSpec(size=9, faults=(cut_after(5, on=1),))})`
`nginx`            a real nginx over http and https, its log read: `Nginx(folder, authority=authority, rate=10**6)`
`ftp`              a real FTP server, with or without TLS: `FtpServer(folder, login=Login(user="u", password="p"))`
`scripted_ftp`     FTP whose replies are data, a spec for each session: `ScriptedFtp(FtpSpec(files=..., sends=500))`
`proxies`          a recording HTTP proxy: `RecordingProxy(login=..., names={"files.test": ("127.0.0.1", port)})`
`squid`            a real squid: `Squid(auth="digest", login=...)`
`s3`               an object store: `S3Server()`, `make_bucket("data")`, `hold(lambda request: ...)`
`tcp_proxy`        a bad cable before any server: `TcpProxy(("127.0.0.1", port), Link(reset_after=10**5))`, `pull()`
`resolver`         names for aiohttp: `FakeResolver({"files.test": [NXDOMAIN, Records("127.0.0.1")]})`
`addresses`        ports where nobody answers: `closed_port()`, `black_hole()`
`authority`        certificates, right or wrong in one way: `FaultServer(..., tls=authority.server("expired"))`
`oracle`           what must be nothing: `hits_in_tree(secret, folder)`, `no_descriptors_left()`, `pending_tasks(loop)`
`content`          what the bytes are: `Pattern(size, seed)`, `file_sha256(path)`
=================  ==================================================================================================

The fault server, from the outside in:

* `files.FileSpec` is an ordinary file: content by `body` or `size` and `seed`, validators, digests, rate, latency,
  limit of connections, `flip_after` n requests into another version. Without faults it does what RFC 9110 says.
* `faults`, `range_faults`, `coding_faults`, `auth_faults` go into `FileSpec(faults=(...))` and compose in order. `on=`
  names the requests: a number (per path, from 1), several, a predicate over the `Request`, or None for all.
* `steps` are what an answer is made of: `raw(b"...")`, `Send`, `Pause`, `WaitFor("event")`, `Announce("event")`,
  `Stall`, `Repeat`, `HalfClose`, `Close`, `Cut`, `Reset`. A route may be a plain tuple of them, or a function from the
  request to one; `greetings={1: (raw(b"SSH-2.0-x"), Cut())}` speaks first on the connection of that number.
* `server.events.set("go")` lets `WaitFor("go")` go on; `await server.events.reached("half")` waits for
  `Announce("half")`.
* `server.requests(path)`, `.exchanges_for(path)`, `.body_bytes_sent(path)`, `.bytes_sent_twice(path)`,
  `.connections_open`, `.connections_peak`, `.connections_total` say what happened; `await server.until(lambda: ...)`
  waits for it without sleeping. Bytes are counted when the kernel takes them; `send_buffer=` keeps small how far that
  is ahead of the client.
* A mistake in the server itself is raised when it stops.

Other addresses are other origins: `host="127.0.0.2"`, `host="::1"`; `server.url("/a", host="files.test")` for a name.

A new fault is a function in `faults` that returns a `Fault`: `changes_file` (what the server believes about the file)
or `changes_answer` (the answer before it becomes bytes). A new thing to do on the wire is a dataclass in `steps` with
`perform`.
"""
