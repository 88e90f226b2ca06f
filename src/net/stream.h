/*
 * A byte stream over a socket: buffered reads and writes for a fiber, with one deadline
 * that every wait obeys (stream_set_deadline or stream_set_limit before each phase). A
 * filter (TLS, a proxy header) may be put between buffer and socket.
 *
 * Buffers are taken from a pool when there are bytes and given back when empty, so that
 * an idle session holds none. An error or timeout is sticky: all later calls return it.
 * At most one fiber reads and one writes at a time. A peer that is always ready does not
 * hold the process: now and then a call lets others run and looks at the deadline.
 * Results: >= 0, or -ETIMEDOUT, -ECONNRESET, -EPIPE, other -errno; end of file is
 * STREAM_EOF where said.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "net/address.h"

#define STREAM_EOF (-4096)
#define STREAM_BUFFER                                                     \
	16384 /* bytes of the read buffer, and the flush size for writing \
	       */

struct stream;

struct stream *stream_new(int fd);  /* takes the descriptor */
void stream_free(struct stream *s); /* closes without flushing; NULL is fine */
int stream_fd(const struct stream *s);
void stream_set_deadline(struct stream *s, int64_t deadline);
/*
 * In its place, for peers that shall keep a pace: a budget of milliseconds from which the
 * time is taken that calls wait for the peer, and no other. Each byte on the wire, read
 * or written, gives back 1/least_rate seconds, but never more than was taken.
 * STREAM_EACH_ANEW: any byte gives back all, so that the limit is one for each wait;
 * STREAM_WHOLE: none gives back anything, so that it is one for the request.
 */
#define STREAM_EACH_ANEW 0
#define STREAM_WHOLE     INT64_MAX
void stream_set_limit(struct stream *s, int64_t milliseconds, int64_t least_rate);
int stream_error(const struct stream *s); /* sticky error or 0 */

/*
 * Reads up to and including LF into `line` (cleared first), LF kept. With more than `max`
 * bytes before an LF, gives max bytes and *cut_r true; the rest stays unread. Result:
 * bytes in line, STREAM_EOF when the peer closed (bytes before it stay in `line`),
 * -errno. The ceiling of `line` must be above max.
 */
MUST_USE ssize_t stream_read_line(
    struct stream *s, struct buf *line, size_t max, bool *cut_r);
/* At least one byte, at most len. 0 never; STREAM_EOF at end. */
MUST_USE ssize_t stream_read_some(struct stream *s, void *bytes, size_t len);
MUST_USE int stream_read_exact(
    struct stream *s, void *bytes, size_t len); /* 0 or error */
/*
 * The unread bytes in the buffer; waits for more when `at_least` are not there yet (at
 * most STREAM_BUFFER; STREAM_EOF when they never come, the rest stays unread). Valid
 * until the next read. Result: bytes at *bytes_r. Consume with stream_skip. This is the
 * fast path for message data.
 */
MUST_USE ssize_t stream_peek(struct stream *s, size_t at_least, const char **bytes_r);
void stream_skip(struct stream *s, size_t count);
/* Bytes already received and unread, the kernel's included when `look` (no wait). This is
 * how pipelined input is seen. */
size_t stream_pending(struct stream *s, bool look);
/* The last read took all that the kernel had then. */
bool stream_is_drained(const struct stream *s);
/* Nothing was received that is unread, and the peer has not closed: a connection that was
 * kept may be used again. No wait. */
bool stream_is_quiet(struct stream *s);
void stream_discard_input(struct stream *s); /* buffered bytes only (STARTTLS) */

/* Buffered; goes out when STREAM_BUFFER bytes wait or at stream_flush. */
MUST_USE int stream_write(struct stream *s, const void *bytes, size_t len);
MUST_USE int stream_write_str(struct stream *s, struct str text);
MUST_USE int stream_printf(struct stream *s, const char *format, ...) PRINTF_LIKE(2, 3);
MUST_USE int stream_flush(struct stream *s);
/* The same, where stream_free follows at once: the last bytes and the end of a TCP
 * connection leave as one packet. */
MUST_USE int stream_flush_last(struct stream *s);
size_t stream_unflushed(const struct stream *s);

/* Sends / receives one descriptor with one byte of data over a UNIX stream (SCM_RIGHTS).
 */
MUST_USE int stream_send_fd(struct stream *s, int fd);
/* Descriptor, close-on-exec, or STREAM_EOF, or -errno: -EPROTO when none came with the
 * byte, or when data lies unread in the buffer. */
MUST_USE int stream_receive_fd(struct stream *s);

/*
 * A filter: transforms what is read and written. Functions may wait. `read` gives bytes,
 * STREAM_EOF or -errno. When stream_raw_read tells it -EAGAIN, it returns -EAGAIN and is
 * called again when there is more to read: so the stream holds no buffer meanwhile.
 * `write` gives the bytes it took, all or some. At most one filter a stream; raw bytes
 * received before it was pushed are given to it first.
 */
struct stream_filter {
	ssize_t (*read)(void *state, struct stream *raw, void *bytes, size_t len);
	ssize_t (*write)(void *state, struct stream *raw, const void *bytes, size_t len);
	size_t (*pending)(void *state); /* bytes it holds decoded; NULL: none, ever */
	void (*free)(void *state);
};
void stream_push_filter(
    struct stream *s, const struct stream_filter *filter, void *state);
/* For filters: reads and writes on the socket below, obeying the deadline. Writes all. */
MUST_USE ssize_t stream_raw_read(struct stream *s, void *bytes, size_t len);
MUST_USE ssize_t stream_raw_write(struct stream *s, const void *bytes, size_t len);

#endif
