#include "conf/config_line.h"

void config_lines_init(struct config_lines *l, struct str text)
{
	l->rest = text;
	l->line = 1;
}

/* Takes one physical line, without its LF. */
static struct str next_physical(struct config_lines *l)
{
	ptrdiff_t end = str_find(l->rest, '\n');
	size_t len = end < 0 ? l->rest.len : (size_t)end;
	struct str line = str_slice(l->rest, 0, len);
	l->rest = str_skip(l->rest, end < 0 ? len : len + 1);
	l->line++;
	return line;
}

static bool is_skipped(struct str line)
{
	struct str text = str_trim(line);
	return text.len == 0 || text.p[0] == '#';
}

/* Whether the rest begins with a continuation, behind any skipped lines. */
static bool skip_to_continuation(struct config_lines *l)
{
	while (l->rest.len > 0) {
		struct config_lines ahead = *l;
		struct str line = next_physical(&ahead);
		if (!is_skipped(line))
			return ascii_is_space(line.p[0]);
		*l = ahead;
	}
	return false;
}

bool config_lines_next(struct config_lines *l, struct buf *out, unsigned *first_r)
{
	struct str line;
	do {
		if (l->rest.len == 0)
			return false;
		line = next_physical(l);
	} while (is_skipped(line));
	*first_r = l->line - 1;
	buf_clear(out);
	buf_add_str(out, line);
	while (skip_to_continuation(l))
		buf_add_str(out, next_physical(l));
	return true;
}
