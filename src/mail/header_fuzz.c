/* Header fields and server replies, as strangers send them. */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/header.h"
#include "mail/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	size_t length = header_name_length(text);
	ENSURE(length < size || length == 0);
	const struct header_row *row = header_find(str_slice(text, 0, length));
	ENSURE(row->id == HEADER_OTHER ||
	    str_equal_nocase(str_slice(text, 0, length), row->name));
	ENSURE(header_body(text).len <= size);
	struct reply reply;
	reply_init(&reply);
	struct str line = STR_EMPTY;
	while (str_next(&text, "\n", &line)) {
		int result = reply_add_line(&reply, line);
		ENSURE(!str_has_control(buf_str(&reply.text)));
		ENSURE(result < 0 || (reply.code >= 200 && reply.code <= 599));
	}
	reply_free(&reply);
	return 0;
}
