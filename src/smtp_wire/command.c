#include "smtp_wire/command.h"

#include <errno.h>

void smtp_command_split(struct str line, struct smtp_command *c_r)
{
	struct str rest = str_trim(line), verb = STR_EMPTY;
	(void)str_next(&rest, " \t", &verb);
	c_r->verb = verb;
	c_r->arguments = str_trim(rest);
}

/* Reads on to the end of an over-long line, a bounded while. */
static int discard_line(struct stream *s, size_t max)
{
	CLEANUP(buf_free) struct buf rest = BUF_INIT(max + 1);
	size_t total = 0;
	bool cut = true;
	while (cut) {
		ssize_t got = stream_read_line(s, &rest, max, &cut);
		if (got < 0)
			return (int)got;
		total += (size_t)got;
		if (total > COMMAND_DISCARD_MAX)
			return -EMSGSIZE;
	}
	return 0;
}

/* A NUL would end a C string early somewhere; as another control byte it is a syntax
 * error wherever it stands. */
static void replace_nuls(struct buf *line)
{
	for (size_t i = 0; i < line->len; i++)
		if (line->p[i] == '\0')
			line->p[i] = '\177';
}

static bool drop_last(struct buf *line, char c)
{
	if (line->len == 0 || line->p[line->len - 1] != c)
		return false;
	buf_truncate(line, line->len - 1);
	return true;
}

int smtp_command_read(
    struct stream *s, struct buf *line, size_t max, struct smtp_command *c_r)
{
	bool cut;
	ssize_t got = stream_read_line(s, line, max, &cut);
	if (got < 0)
		return (int)got;
	if (cut) {
		int error = discard_line(s, max);
		if (error != 0)
			return error;
	}
	struct smtp_command c = {.too_long = cut};
	(void)drop_last(line, '\n');
	c.bare_lf = !drop_last(line, '\r') && !cut;
	replace_nuls(line);
	smtp_command_split(buf_str(line), &c);
	*c_r = c;
	return 0;
}

bool smtp_parameter_next(struct str *rest, struct str *name_r, struct str *value_r)
{
	struct str word;
	if (!str_next(rest, " \t", &word))
		return false;
	ptrdiff_t equals = str_find(word, '=');
	*name_r = equals < 0 ? word : str_slice(word, 0, (size_t)equals);
	*value_r =
	    equals < 0 ? (struct str){NULL, 0} : str_skip(word, (size_t)equals + 1);
	return true;
}
