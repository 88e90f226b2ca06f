#include "table/nul.h"

void nul_strip(struct buf *b)
{
	if (b->len > 0 && b->p[b->len - 1] == '\0')
		buf_truncate(b, b->len - 1);
}

enum table_result nul_lookup(struct nul_guess *guess, nul_ask *ask, void *state,
    struct str key, struct buf *value, struct buf *error)
{
	enum table_result result = TABLE_ABSENT;
	if (!guess->not_without) {
		result = ask(state, key, value, error);
		guess->not_with = guess->not_with || result == TABLE_FOUND;
	}
	if (result == TABLE_ABSENT && !guess->not_with) {
		CLEANUP(buf_free) struct buf with = BUF_INIT(key.len + 1);
		buf_add_str(&with, key);
		buf_add_char(&with, '\0');
		result = ask(state, buf_str(&with), value, error);
		guess->not_without = result == TABLE_FOUND;
	}
	if (result == TABLE_FOUND && value != NULL)
		nul_strip(value);
	return result;
}
