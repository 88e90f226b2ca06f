/* Other programs, for the files of src/control. */
#ifndef CONTROL_RUN_H
#define CONTROL_RUN_H

/* Waits for its end: 0, or 1 when it failed, which is logged. */
int run_program(const char *path, char *const *argv);
/* The same, without its standard output; the program is looked for in PATH when `path`
 * has no slash. The exit status, or -1. */
int run_quietly(const char *path, char *const *argv);
/* Replaces this process; returns 1 on failure, which is logged. */
int run_instead(const char *path, char *const *argv);

#endif
