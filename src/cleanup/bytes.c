/* message_strip_characters and message_reject_characters: sets of bytes in C notation. */
#include "base/memory.h"
#include "cleanup/checks.h"

struct bytes_edit {
	bool strips[256], refuses[256];
};

static int octal(struct str *rest)
{
	int value = 0;
	for (int i = 0; i < 3 && rest->len > 0 && rest->p[0] >= '0' && rest->p[0] <= '7';
	     i++) {
		value = value * 8 + (rest->p[0] - '0');
		*rest = str_skip(*rest, 1);
	}
	return value & 255;
}

/* One byte, or an escape of C. */
static int next_byte(struct str *rest)
{
	static const char names[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
	char c = rest->p[0];
	*rest = str_skip(*rest, 1);
	if (c != '\\' || rest->len == 0)
		return (unsigned char)c;
	c = rest->p[0];
	if (c >= '0' && c <= '7')
		return octal(rest);
	*rest = str_skip(*rest, 1);
	const char *name = c != '\0' ? strchr(names, c) : NULL;
	return (unsigned char)(name != NULL ? values[name - names] : c);
}

static void parse_set(const char *text, bool set[256])
{
	struct str rest = str_of(text);
	while (rest.len > 0)
		set[next_byte(&rest)] = true;
}

struct bytes_edit *bytes_open(void)
{
	const struct cleanup_params *p = &cleanup.params;
	if (p->message_strip_characters[0] == '\0' &&
	    p->message_reject_characters[0] == '\0')
		return NULL;
	struct bytes_edit *edit = memory_alloc(sizeof(*edit));
	parse_set(p->message_strip_characters, edit->strips);
	parse_set(p->message_reject_characters, edit->refuses);
	return edit;
}

void bytes_edit(struct message *m, struct buf *line)
{
	size_t kept = 0;
	for (size_t i = 0; i < line->len; i++) {
		unsigned char byte = (unsigned char)line->p[i];
		if (cleanup.bytes->refuses[byte]) {
			checks_reject(m, "content", buf_str(line),
			    STR("5.7.1 disallowed character"));
			m->edits_bytes = false; /* said once */
			return;
		}
		if (!cleanup.bytes->strips[byte])
			line->p[kept++] = (char)byte;
	}
	buf_truncate(line, kept);
}
