#include "postmap/message_keys.h"

static size_t line_end(struct str s)
{
	ptrdiff_t end = str_find(s, '\n');
	return end < 0 ? s.len : (size_t)end;
}

/* A header: its line, and the lines that follow and begin with a blank. */
static size_t header_end(struct str s)
{
	size_t end = line_end(s);
	while (end + 1 < s.len && (s.p[end + 1] == ' ' || s.p[end + 1] == '\t'))
		end += 1 + line_end(str_skip(s, end + 1));
	return end;
}

void message_keys(struct str message, bool headers, bool body,
    void (*call)(void *context, struct str key), void *context)
{
	bool in_headers = true;
	while (message.len > 0) {
		size_t end = in_headers ? header_end(message) : line_end(message);
		struct str key = str_slice(message, 0, end);
		message = str_skip(message, end + 1);
		if (key.len > 0 && (in_headers ? headers : body))
			call(context, key);
		in_headers = in_headers && key.len > 0;
	}
}
