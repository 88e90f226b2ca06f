/* table_fold: the lower case that keys are compared in. */
#include "table/source.h"

#include "conf/unicode.h"

static void fold_ascii(struct buf *out, struct str key)
{
	char *place = buf_reserve(out, key.len);
	if (place == NULL)
		return;
	for (size_t i = 0; i < key.len; i++)
		place[i] = ascii_lower(key.p[i]);
	buf_advance(out, key.len);
}

/* Case folding can make text longer, but a byte never becomes more than three. */
static bool fold_utf8(struct buf *out, struct str key)
{
	UErrorCode status = U_ZERO_ERROR;
	size_t room = key.len * 3 + 1;
	char *place = buf_reserve(out, room);
	if (place == NULL || key.len > INT32_MAX / 3 - 1)
		return false;
	const struct unicode *icu = unicode_library();
	UCaseMap *map = icu->case_open("", U_FOLD_CASE_DEFAULT, &status);
	if (U_FAILURE(status))
		return false;
	int32_t len = icu->case_fold_utf8(
	    map, place, (int32_t)room, key.p, (int32_t)key.len, &status);
	icu->case_close(map);
	if (U_FAILURE(status) || len < 0 || (size_t)len > room)
		return false;
	buf_advance(out, (size_t)len);
	return true;
}

void table_fold(struct buf *out, struct str key)
{
	if (str_is_ascii(key) || !str_is_utf8(key) || !fold_utf8(out, key))
		fold_ascii(out, key);
}
