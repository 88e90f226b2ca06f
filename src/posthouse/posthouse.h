/* What the files of posthouse share. */
#ifndef POSTHOUSE_POSTHOUSE_H
#define POSTHOUSE_POSTHOUSE_H

/* `posthouse init DIR [--port N]`: a self-contained instance owned by the caller. Exit
 * status. */
int posthouse_init(int argc, char **argv);

/* `posthouse log [-f]`: the last lines of the instance's log, and what comes. Exit
 * status. */
int posthouse_log(int argc, char **argv);

#endif
