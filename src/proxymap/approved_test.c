#include "proxymap/approved.h"

#include "unit.h"

TEST(only_what_is_written_with_proxy_is_approved)
{
	CLEANUP(map_free_cleanup) struct map *approved = map_new();
	approved_add(approved,
	    STR("hash:/a, proxy:hash:/b check_sender_access proxy:proxy:cidr:/c "
		"unionmap:{proxy:hash:/d, hash:/e} "
		"proxy:pipemap:{proxy:hash:/f,static:x} {check_x proxy:hash:/g} proxy:"));
	static const char *const yes[] = {"hash:/b", "cidr:/c", "hash:/d",
	    "pipemap:{proxy:hash:/f,static:x}", "hash:/f", "hash:/g"};
	static const char *const no[] = {"hash:/a", "hash:/e", "static:x", "", "hash:/"};
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(approved_has(approved, str_of(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(approved_has(approved, str_of(no[i])));
}
