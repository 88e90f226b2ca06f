#include "mail/address_maps.h"

#include "unit.h"

static bool is_local(UNUSED void *context, struct str domain)
{
	return str_is(domain, "lab.test");
}

TEST(addresses_are_looked_up_from_the_whole_to_the_domain)
{
	static const struct {
		const char *table, *address, *value, *extension;
	} rows[] = {
	    {"u+e@lab.test=1, u@lab.test=2, u+e=3, u=4, @lab.test=5", "u+e@lab.test", "1",
		""},
	    {"u@lab.test=2, u+e=3, u=4, @lab.test=5", "u+e@lab.test", "2", "+e"},
	    {"u+e=3, u=4, @lab.test=5", "u+e@lab.test", "3", ""},
	    {"u=4, @lab.test=5", "u+e@lab.test", "4", "+e"},
	    {"@lab.test=5", "u+e@lab.test", "5", ""},
	    {"u=4, @x.test=5", "u+e@x.test", "5", ""},
	    {"u=4", "u+e@x.test", NULL, ""},
	    {"u=4", "u", "4", ""},
	    {"other=4", "u", NULL, ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(buf_free) struct buf list = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf extension = BUF_INIT(1000);
		buf_printf(&list, "inline:{ %s }", rows[i].table);
		struct maps *maps = maps_open("test", buf_cstr(&list), TABLE_FOLD);
		struct address_maps_query q = {.maps = maps,
		    .rules = {.delimiters = "+", .double_bounce = "double-bounce"},
		    .flags = ADDRESS_MAPS_USER | ADDRESS_MAPS_DOMAIN,
		    .is_local = is_local};
		enum table_result result =
		    address_maps_lookup(&q, str_of(rows[i].address), &value, &extension);
		assert_int_equal(
		    result, rows[i].value != NULL ? TABLE_FOUND : TABLE_ABSENT);
		if (rows[i].value != NULL)
			assert_str(buf_str(&value), rows[i].value);
		assert_str(buf_str(&extension), rows[i].extension);
		maps_close(maps);
	}
}
