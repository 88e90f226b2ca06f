/*
 * Unit tests: TEST(a_sentence_about_the_module) { ... } registers itself; cmocka asserts
 * inside. All tests of one layer are one program (one TAP group). A test that waits wraps
 * its waiting part in run_main and asserts outside the fiber.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/buf.h"

void unit_register(const char *name, void (*body)(void **state));

#define TEST(name)                                                     \
	static void test_##name(void **state);                         \
	__attribute__((constructor)) static void register_##name(void) \
	{                                                              \
		unit_register(#name, test_##name);                     \
	}                                                              \
	static void test_##name(__attribute__((unused)) void **state)

/* Compares a str with text and shows both when they differ. */
#define assert_str(actual, expected) unit_assert_str(actual, expected, __FILE__, __LINE__)
void unit_assert_str(struct str actual, const char *expected, const char *file, int line);

/* A new empty directory, removed at exit; valid until exit. */
const char *unit_directory(void);

/*
 * Runs body in a child process, for code that ends the process. What it wrote to standard
 * error is in `output`. Gives the wait status; a body that returns ends with status 0.
 */
int unit_in_child(void (*body)(void *), void *argument, struct buf *output);

#endif
