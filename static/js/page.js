// The little script of a live page; every part registers its own listeners.
import "./dialogs.js";
import "./link.js";
import "./times.js";
