/*
 * A message as strangers send it: what the recogniser gives out is the message (but for
 * the line that it says it added and for what a field may not exceed), with and without
 * pieces; converted, every line is 7-bit where the part promised to be, and short.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/panic.h"
#include "mail/mime_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER_LIMIT 4096
#define TEXT_MAX     (1u << 24)

struct copy {
	struct buf text;
	unsigned headers;
	int64_t troubles;
};

static void on_field(void *context, enum mime_class class, struct str field)
{
	struct copy *copy = context;
	ENSURE(class <= MIME_HEADER_NESTED && field.len > 0);
	buf_add_str(&copy->text, field);
	buf_add_char(&copy->text, '\n');
}

static void on_header_end(void *context, bool primary)
{
	struct copy *copy = context;
	ENSURE(primary == (copy->headers == 0));
	copy->headers++;
}

static void on_text(void *context, const struct mime_text *text)
{
	struct copy *copy = context;
	ENSURE(copy->headers > 0 && text->offset >= 0);
	if (text->added)
		return;
	buf_add_str(&copy->text, text->line);
	if (text->whole)
		buf_add_char(&copy->text, '\n');
}

static void on_trouble(
    void *context, enum mime_trouble trouble, UNUSED struct str excerpt)
{
	struct copy *copy = context;
	ENSURE(mime_trouble_text(trouble)[0] != '\0');
	copy->troubles++;
}

static const struct mime_events events = {on_field, on_header_end, on_text, on_trouble};

static void feed(struct mime *m, struct str rest, size_t piece)
{
	while (rest.len > 0) {
		ptrdiff_t end = str_find(rest, '\n');
		struct str line = str_slice(rest, 0, end < 0 ? rest.len : (size_t)end);
		rest = str_skip(rest, line.len + 1);
		for (; line.len > piece; line = str_skip(line, piece))
			mime_add_line(m, str_slice(line, 0, piece), false);
		mime_add_line(m, line, end >= 0);
	}
	mime_end(m);
}

/* A long field and a NUL in a header are cut. */
static bool may_be_cut(struct str text)
{
	return text.len >= HEADER_LIMIT || str_find(text, '\0') >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct mime_options options = {.nesting_limit = 8,
	    .boundary_limit = 64,
	    .header_limit = HEADER_LIMIT,
	    .report = MIME_TOO_DEEP | MIME_8BIT_IN_HEADER | MIME_8BIT_IN_BODY |
		MIME_ENCODING_DOMAIN | MIME_HEADER_OPEN};
	struct copy copy = {.text = BUF_INIT(TEXT_MAX)};
	struct mime *m = mime_new(&options, &events, &copy);
	feed(m, text, size > 0 && data[0] == '!' ? 100 : SIZE_MAX);
	ENSURE(copy.headers > 0 && copy.troubles <= 5);
	mime_free(m);
	if (!may_be_cut(text)) {
		size_t same = copy.text.len < size ? copy.text.len : size;
		ENSURE(copy.text.len - same <= 1 && size - same <= 1);
		ENSURE(same == 0 || memcmp(copy.text.p, data, same) == 0);
	}
	buf_free(&copy.text);
	struct copy converted = {.text = BUF_INIT(TEXT_MAX)};
	struct mime_convert *c = mime_convert_new(&options, &events, &converted);
	feed(mime_convert_input(c), text, SIZE_MAX);
	mime_convert_flush(c);
	mime_convert_free(c);
	buf_free(&converted.text);
	return 0;
}
