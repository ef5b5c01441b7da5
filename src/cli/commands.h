/* The subcommands. Each takes its own name as argv[0] and returns the exit code. */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

int command_capture(int argc, char **argv);
int command_cat(int argc, char **argv);
int command_check(int argc, char **argv);
int command_feed(int argc, char **argv);
int command_ls(int argc, char **argv);
int command_reap(int argc, char **argv);
int command_salvage(int argc, char **argv);
int command_temp(int argc, char **argv);

#endif
