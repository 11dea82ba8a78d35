/** The program of the thread that relays ports: a file of its own, so that the executable has it as one. */
import "#network/relays/relay-thread.ts";
