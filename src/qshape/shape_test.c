#include "qshape/shape.h"

#include <stdlib.h>
#include "unit.h"

#define DEFAULTS .min_subdomains = 2, .buckets = 3, .bucket_minutes = 5, .width = 59

static void assert_table(struct shape_options o, const char *wanted)
{
	static const struct {
		const char *domain;
		int64_t age;
	} counted[] = {{"b.x.test", 0}, {"a.x.test", 300}, {"x.test", 301},
	    {"c.y.x.test", 600}, {"a.x.test", 601}, {"nodomain", 10000000}, {"", -5}};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct shape *s = shape_new(&o);
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		shape_count(s, str_of(counted[i].domain), counted[i].age);
	shape_print(out, s);
	(void)fclose(out);
	assert_string_equal(text, wanted);
	free(text);
	shape_free(s);
}

TEST(domains_are_counted_by_age)
{
	assert_table((struct shape_options){DEFAULTS},
	    "                                                T  5 10 10+\n"
	    "                                         TOTAL  7  3  2   2\n"
	    "                                      a.x.test  2  1  0   1\n"
	    "                                        x.test  1  0  1   0\n"
	    "                                      b.x.test  1  1  0   0\n"
	    "                                      nodomain  1  0  0   1\n"
	    "                                    c.y.x.test  1  0  1   0\n");
}

TEST(parents_count_what_is_below_them)
{
	assert_table((struct shape_options){DEFAULTS, .parents = true, .linear = true},
	    "                                                T  5 10 10+\n"
	    "                                         TOTAL  7  3  2   2\n"
	    "                                       .x.test  4  2  1   1\n"
	    "                                      a.x.test  2  1  0   1\n"
	    "                                        x.test  1  0  1   0\n"
	    "                                      b.x.test  1  1  0   0\n"
	    "                                      nodomain  1  0  0   1\n"
	    "                                    c.y.x.test  1  0  1   0\n");
}

TEST(one_bucket_and_no_width_are_enough)
{
	assert_table(
	    (struct shape_options){
		.min_subdomains = 1, .buckets = 1, .bucket_minutes = 1},
	    "                    T 1+\n"
	    "             TOTAL  7  7\n"
	    "          a.x.test  2  2\n"
	    "            x.test  1  1\n"
	    "          b.x.test  1  1\n"
	    "          nodomain  1  1\n"
	    "        c.y.x.test  1  1\n");
}
