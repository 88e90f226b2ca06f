#include "service/jail_default.h"

#define LEVEL_MAX 100

bool jail_default_applies(struct conf *c, const struct master_row *row)
{
	CLEANUP(buf_free) struct buf level = BUF_INIT(LEVEL_MAX);
	int64_t number, one;
	return row->chroot == MASTER_DEFAULT &&
	    conf_get(c, STR("compatibility_level"), &level) &&
	    conf_parse_level(buf_str(&level), &number) &&
	    conf_parse_level(STR("1"), &one) && number < one;
}

bool jail_default_is_jailed(struct conf *c, const struct master_row *row)
{
	return row->chroot == 1 || jail_default_applies(c, row);
}
