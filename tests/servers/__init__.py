"""
The counterparts that the tests run against: real sockets on loopback, faults as data, everything recorded.

Each runs outside the loop of the test, in a thread of its own or as a program, so that a test may block, await, or be a
kernel in another process. All are context managers; the fixtures of `fixtures` start and stop them.

===============  ====================================================================================================
`fault_server`   HTTP/1.1 from raw bytes. `FaultServer({"/a": FileSpec(size=9, faults=(cut_after(5, on=1),))})`
`nginx`          a real nginx over http and https. `Nginx(folder, authority=authority, rate=10**6)`
===============  ====================================================================================================

The fault server, from the outside in:

* `files.FileSpec` is an ordinary file: content by `body` or `size` and `seed`, validators, digests, rate, latency,
  limit of connections, `flip_after` n requests into another version. Without faults it does what RFC 9110 says.
* `faults` go into `FileSpec(faults=(...))` and compose in order. `on=` names the requests: a number (per path, from 1),
  several, a predicate over the `Request`, or None for all.
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

A new fault is a function in `faults` that returns a `Fault`: `changes_file` (what the server believes about the file)
or `changes_answer` (the answer before it becomes bytes). A new thing to do on the wire is a dataclass in `steps` with
`perform`.
"""
