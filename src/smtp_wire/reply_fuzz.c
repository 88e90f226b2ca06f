/* A server's replies, line by line, and what EHLO told. */
#include <stdint.h>
#include <string.h>

#include "base/panic.h"
#include "smtp_wire/capability.h"
#include "smtp_wire/reply_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str text, bool lines)
{
	for (size_t i = 0; i < text.len; i++)
		ENSURE(ascii_is_print(text.p[i]) || (lines && text.p[i] == '\n'));
}

static void check(const struct reply *r)
{
	struct ehlo ehlo;
	check_text(buf_str(&r->text), false);
	check_text(buf_str(&r->lines), true);
	ENSURE(r->text.len <= REPLY_TEXT_MAX && r->lines.len <= REPLY_TEXT_MAX);
	ENSURE(r->count == 0 || (r->code >= 200 && r->code <= 599));
	ENSURE(strlen(r->status) < sizeof(r->status));
	ENSURE(r->status[0] == '\0' || r->status[0] - '0' == r->code / 100);
	ehlo_read(buf_str(&r->lines), &ehlo);
	ENSURE(ehlo.size_limit >= 0 && ehlo.name.len <= r->lines.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	struct reply r;
	if (size > 65536)
		return 0;
	reply_init(&r);
	while (in.len > 0) {
		ptrdiff_t end = str_find(in, '\n');
		size_t length = end >= 0 ? (size_t)end + 1 : in.len;
		if (length > REPLY_LINE_MAX)
			length = REPLY_LINE_MAX;
		int more = reply_take_line(&r, str_slice(in, 0, length));
		if (more < 0)
			break;
		ENSURE(more == 1 || more == 0);
		check(&r);
		in = str_skip(in, length);
	}
	reply_free(&r);
	return 0;
}
