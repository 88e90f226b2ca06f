#include "table/table.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "table/driver.h"
#include "table/maps.h"
#include "table/table_test_support.h"
#include "unit.h"

DEFINE_CLEANUP(maps_close, struct maps *)

static void check_broken(const char *name, const char *error)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	keep_log();
	CLEANUP(table_close_cleanup) struct table *t = table_open(str_of(name), 0);
	assert_str(str_of(table_error(t)), error);
	assert_int_equal(table_lookup(t, STR("x"), &value), TABLE_BROKEN);
	assert_int_equal(table_lookup(t, STR("x"), &value), TABLE_BROKEN);
	CLEANUP(buf_free) struct buf line = BUF_INIT(1000);
	buf_printf(&line, "warning: %s is unavailable. %s\n", name, error);
	assert_str(log_memory(), buf_cstr(&line)); /* once */
	assert_false(table_changed(t));
}

TEST(table_that_cannot_be_opened_answers_broken_and_says_why_once)
{
	check_broken("bogus:/x", "unsupported dictionary type: bogus");
	check_broken(
	    "hash", "open dictionary: expecting \"type:name\" form instead of \"hash\"");
	check_broken("static:",
	    "open dictionary: expecting \"type:name\" form instead of \"static:\"");
	check_broken("texthash:/nonexistent/x",
	    "open database /nonexistent/x: No such file or directory");
	check_broken("hash:/nonexistent/x",
	    "open database /nonexistent/x: No such file or directory");
	check_broken(
	    "regexp:/nonexistent", "open /nonexistent: No such file or directory");
	check_broken("unix:x", "unknown table: unix:x");
	check_broken("static:{x", "bad static:name syntax: missing '}' in \"{x\"");
	check_broken(
	    "static:{x}y", "bad static:name syntax: syntax error after '}' in \"{x}y\"");
	check_broken("inline:{a}",
	    "missing '=' after attribute name: \"inline:{a}\"; need "
	    "\"inline:{name=value...}\"");
	check_broken(
	    "inline:a=b", "bad syntax: \"inline:a=b\"; need \"inline:{name=value...}\"");
	check_broken(
	    "inline:{}", "bad syntax: \"inline:{}\"; need \"inline:{name=value...}\"");
	check_broken(
	    "regexp:{/abc/ x}", "regexp map: no '{' at start of text in \"/abc/\"");
	check_broken("regexp:{{/abc/ x}", "regexp map: missing '}' in \"{{/abc/ x}\"");
	check_broken("proxy:bogus:/x", "unsupported dictionary type: bogus");
}

TEST(table_types_with_their_data_in_their_name)
{
	static const struct {
		const char *name;
		const char *key;
		const char *expected;
	} cases[] = {
	    {"static:x", "any", "x"},
	    {"static:{ x y }", "any", "x y"},
	    {"inline:{a=b, {c = d e }}", "a", "b"},
	    {"inline:{a=b, {c = d e }}", "c", "d e"},
	    {"inline:{a=b, {c = d e }}", "d", NULL},
	    {"inline:{A=b}", "a", "b"},
	    {"inline:{a=b}", "A", "b"},
	    {"inline:{a=b=c}", "a", "b=c"},
	    {"proxy:inline:{a=b}", "a", "b"},
	    {"proxy:proxy:static:z", "a", "z"},
	    {"unix:passwd.byname", "nosuchuser", NULL},
	    {"unix:group.byname", "root", "root:x:0:"},
	    {"environ:x", "POSTHOUSE_UNSET", NULL},
	    {"static:x", "", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(table_close_cleanup)
		struct table *t = table_open(str_of(cases[i].name), TABLE_FOLD);
		assert_null(table_error(t));
		assert_string_equal(table_name(t), cases[i].name);
		check_lookup(t, cases[i].key, cases[i].expected);
	}
	assert_int_equal(setenv("POSTHOUSE_TEST", "yes", 1), 0);
	CLEANUP(table_close_cleanup) struct table *t = table_open(STR("environ:x"), 0);
	check_lookup(t, "POSTHOUSE_TEST", "yes");
}

TEST(table_fail_asks_to_try_later)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	CLEANUP(table_close_cleanup) struct table *t = table_open(STR("fail:x"), 0);
	assert_int_equal(table_lookup(t, STR("a"), &value), TABLE_TRY_LATER);
	assert_string_equal(table_error(t), "Application error");
}

TEST(table_driver_list_is_sorted_and_complete)
{
	const char *const *types = table_types();
	size_t drivers = 0;
	for (size_t i = 0; types[i] != NULL; i++) {
		if (i > 0)
			assert_true(strcmp(types[i - 1], types[i]) < 0);
		assert_non_null(table_driver_find(str_of(types[i])));
		drivers++;
	}
	assert_null(table_drivers[drivers]);
}

TEST(table_texthash_keeps_the_first_of_equal_keys)
{
	keep_log();
	CLEANUP(table_close_cleanup)
	struct table *t = open_file_table("texthash", "a b\nB c\na d\n", TABLE_FOLD);
	check_log("line 3: duplicate entry: \"a\"");
	check_lookup(t, "a", "b");
	check_lookup(t, "A", "b");
	check_lookup(t, "b", "c");
	check_lookup(t, "c", NULL);
	assert_true(table_is_fixed(t));
}

static bool build(const char *type, const char *path, const char *text,
    enum source_duplicates duplicates, bool incremental)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct table_source source = {
	    .path = path,
	    .fold = true,
	    .duplicates = duplicates,
	    .incremental = incremental,
	};
	if (text != NULL)
		source.text = str_of(text);
	bool ok = table_driver_find(str_of(type))->build(str_of(path), &source, &error);
	if (!ok)
		print_error("# %s\n", buf_cstr(&error));
	return ok;
}

static void check_hash(const char *type)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	write_file(unit_directory(), "virtual", "a b\nB c\na d\n", &path);
	buf_printf(&name, "%s:%s", type, buf_cstr(&path));
	keep_log();

	/* Without an index the text counts. */
	struct table *t = table_open(buf_str(&name), TABLE_FOLD);
	check_log(".lmdb is missing; reading ");
	check_lookup(t, "a", "b");
	assert_false(table_changed(t));

	/* The index is new: whoever has the text should end. */
	assert_true(build(type, buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));
	check_log(".lmdb: duplicate entry: \"a\"");
	assert_true(table_changed(t));
	table_close(t);

	log_memory_clear();
	t = table_open(buf_str(&name), TABLE_FOLD);
	assert_str(log_memory(), "");
	check_lookup(t, "A", "b");
	check_lookup(t, "b", "c");
	check_lookup(t, "nosuch", NULL);
	assert_false(table_changed(t));

	/* Built again: the old one stays readable, and is known to be old. */
	assert_true(
	    build(type, buf_cstr(&path), "a new\n", SOURCE_DUPLICATES_REPLACE, true));
	check_lookup(t, "a", "b");
	assert_true(table_changed(t));
	table_close(t);
	t = table_open(buf_str(&name), TABLE_FOLD);
	check_lookup(t, "a", "new");
	check_lookup(t, "b", "c");
	table_close(t);
}

TEST(table_hash_and_btree_use_an_index_of_their_own_or_the_text)
{
	check_hash("hash");
	check_hash("btree");
}

TEST(table_hash_with_a_newer_source_reads_the_source)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	write_file(unit_directory(), "m", "a b\n", &path);
	buf_printf(&name, "hash:%s", buf_cstr(&path));
	assert_true(build("hash", buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, buf_cstr(&path), O_WRONLY | O_APPEND, 0);
	assert_int_equal(file_write_all(fd, "c d\n", 4), 0);
	const struct timespec later[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
	assert_int_equal(futimens(fd, later), 0);
	keep_log();
	CLEANUP(table_close_cleanup)
	struct table *t = table_open(buf_str(&name), TABLE_FOLD);
	check_log(".hash.lmdb is older than its source; reading ");
	check_lookup(t, "c", "d");
}

TEST(table_hash_reads_an_alias_file_without_index)
{
	CLEANUP(table_close_cleanup)
	struct table *t =
	    open_file_table("hash", "# aliases\nRoot: bob, jim\nx:y\n", TABLE_FOLD);
	check_lookup(t, "root", "bob, jim");
	CLEANUP(table_close_cleanup)
	struct table *u =
	    open_file_table("hash", "root:bob\n", TABLE_FOLD | TABLE_ALIASES);
	check_lookup(u, "root", "bob");
}

TEST(table_updates_count_when_committed_and_only_then)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	write_file(unit_directory(), "m", "a b\nc d\n", &path);
	buf_printf(&name, "hash:%s", buf_cstr(&path));
	assert_true(build("hash", buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));

	struct table *t = table_open(buf_str(&name), TABLE_FOLD | TABLE_UPDATE);
	assert_int_equal(table_remove(t, STR("a")), TABLE_FOUND);
	assert_int_equal(table_remove(t, STR("a")), TABLE_ABSENT);
	table_close(t);
	t = table_open(buf_str(&name), TABLE_FOLD | TABLE_UPDATE);
	check_lookup(t, "a", "b");
	assert_int_equal(table_remove(t, STR("A")), TABLE_FOUND);
	assert_int_equal(table_update(t, STR("E"), STR("f")), TABLE_FOUND);
	assert_true(table_commit(t));
	assert_int_equal(table_update(t, STR("dropped"), STR("x")), TABLE_FOUND);
	table_close(t);
	t = table_open(buf_str(&name), TABLE_FOLD);
	check_lookup(t, "a", NULL);
	check_lookup(t, "e", "f");
	check_lookup(t, "dropped", NULL);
	assert_int_equal(table_remove(t, STR("c")), TABLE_BROKEN);
	assert_true(
	    str_ends(str_of(table_error(t)), STR("delete operation is not supported")));
	table_close(t);
}

TEST(table_walk_gives_every_entry_once)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	static const char *const types[] = {"texthash", "hash", "btree"};
	write_file(unit_directory(), "m", "b 2\na 1\nc 3\n", &path);
	assert_true(build("btree", buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&name);
		buf_printf(&name, "%s:%s", types[i], buf_cstr(&path));
		CLEANUP(table_close_cleanup)
		struct table *t = table_open(buf_str(&name), TABLE_FOLD);
		for (int round = 0; round < 2; round++) {
			int sum = 0;
			bool first = true;
			while (table_next(t, first, &key, &value) == TABLE_FOUND) {
				sum += value.p[0] - '0';
				first = false;
				check_lookup(t, "c", "3"); /* does not disturb the walk */
			}
			assert_int_equal(sum, 6);
		}
	}
	CLEANUP(table_close_cleanup) struct table *t = table_open(STR("static:x"), 0);
	assert_int_equal(table_next(t, true, &key, &value), TABLE_BROKEN);
	assert_string_equal(
	    table_error(t), "table static:x: sequence operation is not supported");
}

TEST(table_build_that_fails_leaves_the_old_index_and_no_rest)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	write_file(unit_directory(), "m", "a b\n", &path);
	assert_true(build("hash", buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));
	struct table_source source = {.path = "/nonexistent/m", .fold = true};
	assert_false(
	    table_driver_find(STR("hash"))->build(buf_str(&path), &source, &error));
	assert_str(buf_str(&error), "open /nonexistent/m: No such file or directory");
	buf_printf(&name, "%s.hash.lmdb.new-%ld", buf_cstr(&path), (long)getpid());
	assert_int_equal(access(buf_cstr(&name), F_OK), -1);
	buf_clear(&name);
	buf_printf(&name, "hash:%s", buf_cstr(&path));
	CLEANUP(table_close_cleanup)
	struct table *t = table_open(buf_str(&name), TABLE_FOLD);
	check_lookup(t, "a", "b");
}

TEST(table_index_takes_keys_up_to_its_limit)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(5000);
	buf_add_fill(&text, 'x', 511);
	buf_add_cstr(&text, " fits\n");
	buf_add_fill(&text, 'y', 512);
	buf_add_cstr(&text, " does not\nz too\n");
	write_file(unit_directory(), "m", buf_cstr(&text), &path);
	buf_printf(&name, "hash:%s", buf_cstr(&path));
	keep_log();
	assert_true(build("hash", buf_cstr(&path), NULL, SOURCE_DUPLICATES_WARN, false));
	check_log("line 2: key is empty or longer than 511 bytes -- ignoring this line");
	CLEANUP(table_close_cleanup)
	struct table *t = table_open(buf_str(&name), TABLE_FOLD);
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	assert_int_equal(
	    table_lookup(t, str_slice(buf_str(&text), 0, 511), &value), TABLE_FOUND);
	assert_int_equal(
	    table_lookup(t, str_slice(buf_str(&text), 517, 517 + 512), &value),
	    TABLE_ABSENT);
	check_lookup(t, "z", "too");
}

TEST(maps_answer_with_the_first_table_that_knows)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	CLEANUP(maps_close_cleanup)
	struct maps *m = maps_open("test_maps",
	    "inline:{a=1}, regexp:{{/^b/ 2}, {/^a/ 3}} inline:{b=4, {empty=}}",
	    TABLE_FOLD);
	assert_false(maps_empty(m));
	assert_int_equal(maps_lookup(m, STR("a"), false, &value), TABLE_FOUND);
	assert_str(buf_str(&value), "1");
	assert_string_equal(maps_last_name(m), "inline:{a=1}");
	assert_int_equal(maps_lookup(m, STR("b"), false, &value), TABLE_FOUND);
	assert_str(buf_str(&value), "2");
	/* A part of a key is not shown to patterns. */
	assert_int_equal(maps_lookup(m, STR("b"), true, &value), TABLE_FOUND);
	assert_str(buf_str(&value), "4");
	assert_int_equal(maps_lookup(m, STR("c"), false, &value), TABLE_ABSENT);
	keep_log();
	assert_int_equal(maps_lookup(m, STR("empty"), false, &value), TABLE_BROKEN);
	check_log(
	    "test_maps lookup of empty in inline:{b=4, {empty=}} returns an empty string");
}

TEST(maps_trouble_ends_the_search)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	CLEANUP(maps_close_cleanup)
	struct maps *m =
	    maps_open("test_maps", "inline:{a=1} fail:x static:y", TABLE_FOLD);
	assert_int_equal(maps_lookup(m, STR("a"), false, &value), TABLE_FOUND);
	assert_int_equal(maps_lookup(m, STR("b"), false, &value), TABLE_TRY_LATER);
	assert_string_equal(maps_last_name(m), "fail:x");
	CLEANUP(maps_close_cleanup) struct maps *empty = maps_open("empty", " ", 0);
	assert_true(maps_empty(empty));
	assert_int_equal(maps_lookup(empty, STR("b"), false, &value), TABLE_ABSENT);
}

/* regexec and the account library on the stack of a fiber. */
static struct {
	struct table *regexp;
	struct table *accounts;
	char key[TABLE_KEY_MAX + 1];
	enum table_result matched;
	enum table_result account;
	size_t high_water;
} in_fiber;

static void look_up_in_fiber(UNUSED void *argument)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	in_fiber.matched = table_lookup(in_fiber.regexp, str_of(in_fiber.key), &value);
	in_fiber.account = table_lookup(in_fiber.accounts, STR("root"), &value);
	in_fiber.high_water = fiber_stack_high_water();
}

TEST(table_lookup_fits_on_the_stack_of_a_fiber)
{
	memset(in_fiber.key, 'a', TABLE_KEY_MAX);
	in_fiber.regexp =
	    open_file_table("regexp", "/^(a|b)*([a-z]+)(x?)(a*)$/ $2\n/./ x\n", 0);
	in_fiber.accounts = table_open(STR("unix:passwd.byname"), 0);
	run_init();
	run_main(look_up_in_fiber, NULL);
	table_close(in_fiber.regexp);
	table_close(in_fiber.accounts);
	assert_int_equal(in_fiber.matched, TABLE_FOUND);
	assert_int_equal(in_fiber.account, TABLE_FOUND);
	assert_true(in_fiber.high_water > 0);
	assert_true(in_fiber.high_water < 48u * 1024 || fiber_stack_size() > 64u * 1024);
}
