#include "conf/expand.h"

#include "unit.h"

static const struct {
	const char *name;
	const char *value;
} values[] = {
    {"e", ""},
    {"ee", "$e"},
    {"v", "val"},
    {"w", "<$v>"},
    {"loop", "$loop"},
    {"a", "$b"},
    {"b", "x$a"},
    {"price", "5$"},
};

static const char *lookup(UNUSED void *context, struct str name, bool *expand_r)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (str_is(name, values[i].name)) {
			*expand_r = !str_is(name, "price");
			return values[i].value;
		}
	return NULL;
}

static bool expand(const char *text, struct buf *out, struct buf *error)
{
	buf_clear(out);
	buf_clear(error);
	return expand_text(str_of(text), lookup, NULL, out, error, NULL);
}

/* The results are those of postconf -x 3.7 and 3.10. */
TEST(expand_gives_what_postconf_gives)
{
	static const struct {
		const char *text;
		const char *result;
	} cases[] = {
	    {"", ""},
	    {"plain", "plain"},
	    {"$v-$v.", "val-val."},
	    {"$w", "<val>"},
	    {"$(v)|${v}|${ v }", "val|val|val"},
	    {"$$v", "$v"},
	    {"$price", "5$"},
	    {"${nosuch}x", "x"},
	    {"${v?x}${e?y}", "x"},
	    {"${v:x}${e:y}", "y"},
	    {"${ee?x}", "x"},
	    {"${v?{a}:{b}}${e?{a}:{b}}", "ab"},
	    {"${v? {a} : {b} }", "a"},
	    {"${v?{ a b }}|", "a b |"},
	    {"${v?  a  }|", "a  |"},
	    {"${v?x:y}", "x:y"},
	    {"${e?{a}:b }|", "b |"},
	    {"${v ?{x}}", "x"},
	    {"${v?a}b}", "ab}"},
	    {"{$v}", "{val}"},
	    {"${v?{${e:{z}}}}", "z"},
	    {"${v?{{x}}}", "{x}"},
	    {"${e?{a}:{}}|", "|"},
	    {"$(v?x)", "x"},
	    {"${{a} == {a} ? {yes} : {no}}", "yes"},
	    {"${{a}=={b}?{yes}:{no}}", "no"},
	    {"${{10} < {9} ? {a} : {b}}", "b"},
	    {"${{10} < {9x} ? {a} : {b}}", "a"},
	    {"${{b} < {a} ? {1}}|", "|"},
	    {"${{a} < {b}}|${{b} < {a}}", "true|"},
	    {"${{a} < {b} ? x : y}", "x : y"},
	    {"${{a} == {b} : {x}}", "x"},
	    {"${{007} == {7} ? {a}:{b}}", "a"},
	    {"${{A} == {a} ? {a}:{b}}", "b"},
	    {"${{$v} != {val} ? {a}:{b}}", "b"},
	    {"${{$e} == {} ? {a}:{b}}", "a"},
	    {"${{2} >= {2} ? {a}:{b}}${{2} <= {1} ? {a}:{b}}${{2} > {1} ? {a}:{b}}",
		"aba"},
	    {"${{3.6} <level {3.10} ? {a} : {b}}", "a"},
	    {"${{4} ==level {4.0} ? {a}:{b}}${{4} !=level {4.0} ? {a}:{b}}", "ab"},
	    {"${{1} >=level {2} ? {a}:{b}}${{3.11} >level {3.6} ? {a}:{b}}", "ba"},
	    {"${{2} <=level {2} ? {a}:{b}}", "a"},
	    {"${domain_to_ascii{Example.com}}", "Example.com"},
	    {"${domain_to_ascii{b\xc3\xbc"
	     "cher.example}}",
		"xn--bcher-kva.example"},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!expand(cases[i].text, &out, &error))
			print_error("%s: %s\n", cases[i].text, buf_cstr(&error));
		assert_str(buf_str(&out), cases[i].result);
	}
}

TEST(expand_names_the_place_of_a_mistake)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
	    {"abc ${foo", "truncated macro reference: \"abc ${foo\""},
	    {"$(v", "truncated macro reference: \"$(v\""},
	    {"${v?{a}", "truncated macro reference: \"${v?{a}\""},
	    {"a$ b", "empty macro name: \"a$ b\""},
	    {"a$", "empty macro name: \"a$\""},
	    {"${}", "empty macro name: \"${}\""},
	    {"${v!x}", "attribute name syntax error at: \"...v>>>!x\""},
	    {"${v.x}", "attribute name syntax error at: \"...v>>>.x\""},
	    {"${$v}", "attribute name syntax error at: \"...>>>$v\""},
	    {"${nofunction{x}}",
		"attribute name syntax error at: \"...nofunction>>>{x}\""},
	    {"${v:{a}:{b}}", "unexpected input at: \"...v:{a}>>>:{b}\""},
	    {"${v?{a} {b}}", "\":\" expected at: \"...v?{a} >>>{b}\""},
	    {"${{a} == b ? {x}}",
		"\"{expression}\" expected at: \"...{a} == >>>b ? {x}\""},
	    {"${{a} == {b} x}", "\"?\" or \":\" expected at: \"...{a} == {b} >>>x\""},
	    {"${{x} <level {3} ? {a}}", "malformed compatibility level syntax: \"x\""},
	    {"${{} <level {3} ? {a}}", "malformed compatibility level syntax: \"\""},
	    {"${{18446744073709551616} < {2}}", "bad number: \"18446744073709551616\""},
	    {"$loop", "unreasonable macro call nesting: \"loop\""},
	    {"$a", "unreasonable macro call nesting: \"b\""},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(expand(cases[i].text, &out, &error));
		assert_str(buf_str(&error), cases[i].error);
	}
}

TEST(expand_reports_unknown_names_and_expands_them_to_nothing)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	CLEANUP(buf_free) struct buf error = BUF_INIT(100);
	bool unknown = false;
	assert_true(expand_text(STR("$v"), lookup, NULL, &out, &error, &unknown));
	assert_false(unknown);
	assert_true(expand_text(STR("$nosuch"), lookup, NULL, &out, &error, &unknown));
	assert_true(unknown);
	assert_str(buf_str(&out), "val");
}

TEST(expand_stops_at_the_ceiling_of_the_result)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(5);
	CLEANUP(buf_free) struct buf error = BUF_INIT(100);
	assert_true(expand("12345", &out, &error));
	assert_false(expand("123456", &out, &error));
	assert_str(buf_str(&error), "result is longer than 5 bytes");
}

/* Each level doubles: 2^90 references to nothing, cut by their number. */
static const char *doubling(UNUSED void *context, struct str name, UNUSED bool *expand_r)
{
	static char value[91][32];
	int64_t level = 0;
	if (!str_to_range(str_skip(name, 1), 0, 90, &level))
		return "";
	char *text = value[level];
	(void)snprintf(
	    text, sizeof(value[0]), "$x%d$x%d", (int)level + 1, (int)level + 1);
	return text;
}

TEST(expand_of_values_that_multiply_ends_soon)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	assert_false(expand_text(STR("$x0"), doubling, NULL, &out, &error, NULL));
	assert_true(str_starts(buf_str(&error), STR("too many macro references")));
}
