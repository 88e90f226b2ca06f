/* Whatever a QMQP client sends: within the limits, or refused. */
#include <stdint.h>

#include "base/panic.h"
#include "net/stream.h"
#include "qmqpd/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t peek(void *context, const char **bytes_r)
{
	const struct str *rest = context;
	*bytes_r = rest->p;
	return rest->len > 0 ? (ssize_t)(rest->len > 7 ? 7 : rest->len) : STREAM_EOF;
}

static void skip(void *context, size_t count)
{
	struct str *rest = context;
	*rest = str_skip(*rest, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct netstring_source source = {peek, skip, &rest};
	struct request_limits limits = {.message = 200, .address = 60, .recipients = 20};
	struct arena *a = arena_new(65536);
	struct request r;
	const char *part;
	request_init(&r, a, limits.message);
	if (request_read(&r, &source, &limits, &part) == NETSTRING_OK) {
		ENSURE(r.content.len <= 200 && r.count <= 20 && r.sender.len <= 60);
		request_find_verp(&r, "-=+");
		for (uint32_t i = 0; i < r.count; i++)
			ENSURE(r.recipients[i].address.len <= 60);
	}
	request_free(&r);
	arena_free(a);
	return 0;
}
