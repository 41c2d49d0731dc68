package catalogue

// Placeholders so that the package compiles until the operations' files land.
var connectionVerify, inventorySync, directoryGroupsSync = &Definition{}, &Definition{}, &Definition{}
