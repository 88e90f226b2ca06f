/* What the files of the stream, connect.c and the tests see. For src/net only. */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include "net/stream.h"
#include "run/wait.h"

#ifndef MSG_MORE /* Linux has it; elsewhere the last bytes go ahead of the close */
#define MSG_MORE 0
#endif

struct chunk {
	struct chunk *next;
	size_t at, end; /* the bytes in use */
	char bytes[STREAM_BUFFER];
};

struct stream {
	int fd;
	int error;
	int64_t deadline;
	/* Of stream_set_limit; limit_ms 0: none, the deadline counts. */
	int64_t limit_ms, left_ms, least_rate;
	int64_t unpaid; /* bytes times 1000 that gave back nothing yet */
	struct run_watch *watch;
	struct chunk *in, *out; /* NULL while there is nothing to hold */
	struct chunk *below;    /* raw bytes that came before the filter did */
	const struct stream_filter *filter;
	void *filter_state;
	unsigned burst;
	bool not_a_socket;
	bool closes;  /* nothing more is written: stream_flush_last */
	bool no_wait; /* raw reads say -EAGAIN instead of waiting */
	bool drained; /* the last read got all there was: wait before the next */
};

/* Buffers from a pool; a NULL chunk holds nothing. */
struct chunk *stream_chunk_take(void);
void stream_chunk_drop(struct chunk **place);
size_t stream_chunk_held(const struct chunk *c); /* bytes in use */
size_t stream_buffers_held(void);                /* chunks that streams hold now */

/* 0, or the error, which is then sticky. */
MUST_USE int stream_wait_writable(struct stream *s);
MUST_USE int stream_wait_readable(struct stream *s);
int stream_fail(struct stream *s, int error);   /* sets the sticky error; gives it */
int64_t stream_left_ms(const struct stream *s); /* 0: out of time */
/* So many bytes went over the wire. */
void stream_moved(struct stream *s, size_t bytes);
/* Called before each transfer: a peer that is always ready must neither hold the process
 * nor outlast its deadline. 0 or the error. */
MUST_USE int stream_breathe(struct stream *s);

#endif
