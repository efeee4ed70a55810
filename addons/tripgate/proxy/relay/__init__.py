"""The fast lane: opaque TCP in router mode, peeked at, decided on, relayed.

Theory of operation
-------------------
A diverted connection is *accepted* (its own local address is the destination that the device asked
for), its first bytes are *peeked* at without being consumed, one synchronous call *decides*, a
connection to the destination is made under the device's mark, and a *flow* of two *ways* moves the
bytes: device to server is up, server to device is down.

Rules
1. One edge-triggered epoll for everything, which is itself watched by the event loop. A handler
   works until a socket says that it has no more, or until its turn is over; then it waits for the
   next edge, or for its next turn.
2. A descriptor is closed after the batch of events that its end was in, so no event of the batch
   can meet another connection under the same number.
3. Room is asked for before a byte is read: what the device may not have stays in the socket, and
   the receive window tells the server. What was read is charged before it goes on.
4. A flow without budget waits for its device's one grant; it is not looked at until that comes.
5. Small exchanges go through one buffer that all flows share. A way that has moved ``SPLICE_FROM``
   bytes goes through a pipe, which it has only while bytes are in it.
6. The end of a stream goes on as the end of a stream, a reset as a reset, to the other side, at
   once. What was refused before a byte of it moved is reset, or answered with a page if it was
   plain HTTP.
7. What an addon of somebody else's asks to see goes to mitmproxy's own layers instead, untouched,
   once it is allowed (:mod:`tripgate.proxy.relay.divert`).
8. Everything that waits has a deadline, on the clock that counts suspends.
"""
