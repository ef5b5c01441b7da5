/* Commands of the user's: what is said, and which exit code there is, when one cannot be run. */
#ifndef WEIR_CLI_PROGRAM_H
#define WEIR_CLI_PROGRAM_H

#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128 /* and the number of the signal */

/* 0 if it can be run. Else says why not, with `consequence` behind it, and returns the exit code.
 */
int program_check(const char *program, const char *consequence);

#endif
